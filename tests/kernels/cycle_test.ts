import { testCases } from "../helpers/device.ts";
import { cases } from "./cycle_cases.ts";

testCases(cases);
