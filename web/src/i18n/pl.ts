import { collect } from ".";

export default collect(import.meta.glob(["../*/text.pl.json", "../pages/*/text.pl.json"], { eager: true, import: "default" }));
