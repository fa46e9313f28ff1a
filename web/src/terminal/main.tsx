import { boot } from "../boot";
import { Gate } from "../shell/gate";
import { StepUp } from "../shell/stepup";
import { Workspace } from "./workspace";

await boot(
  <Gate>
    {() => (
      <>
        <Workspace />
        <StepUp />
      </>
    )}
  </Gate>,
);
