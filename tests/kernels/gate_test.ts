import { testCases } from "../helpers/device.ts";
import { cases } from "./gate_cases.ts";

testCases(cases);
