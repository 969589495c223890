import { testCases } from "../helpers/device.ts";
import { cases } from "./gelu_gate_cases.ts";

testCases(cases);
