import { boot } from "../boot";
import { Gate } from "../shell/gate";
import { StepUp } from "../shell/stepup";
import { RecordingPage } from "./page";

await boot(
  <Gate>
    {() => (
      <>
        <RecordingPage id={decodeURIComponent(location.pathname.split("/")[2] ?? "")} />
        <StepUp />
      </>
    )}
  </Gate>,
);
