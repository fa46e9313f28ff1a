import { RouterProvider } from "@tanstack/react-router";
import { boot } from "./boot";
import { router } from "./router";

await boot(<RouterProvider router={router} />);
