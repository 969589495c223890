import { testCases } from "../helpers/device.ts";
import { cases } from "./bias_cases.ts";

testCases(cases);
