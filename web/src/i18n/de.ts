import { collect } from ".";

export default collect(import.meta.glob(["../*/text.de.json", "../pages/*/text.de.json"], { eager: true, import: "default" }));
