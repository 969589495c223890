import { testCases } from "../helpers/device.ts";
import { cases } from "./silu_gate_cases.ts";

testCases(cases);
