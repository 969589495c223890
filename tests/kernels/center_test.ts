import { testCases } from "../helpers/device.ts";
import { cases } from "./center_cases.ts";

testCases(cases);
