import { collect } from ".";

export default collect(import.meta.glob(["../*/text.en.json", "../pages/*/text.en.json"], { eager: true, import: "default" }));
