import { testCases } from "../helpers/device.ts";
import { cases } from "./gelu_cases.ts";

testCases(cases);
