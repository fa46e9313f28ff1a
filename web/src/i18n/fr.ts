import { collect } from ".";

export default collect(import.meta.glob(["../*/text.fr.json", "../pages/*/text.fr.json"], { eager: true, import: "default" }));
