import { start } from "./i18n";

// What has no page needs no texts.
if (typeof localStorage !== "undefined") await start();
