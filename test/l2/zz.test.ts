import { adapterConformance } from "./conformance.ts";
import { fixtures } from "./fixtures.ts";
adapterConformance(fixtures["file:"]);
