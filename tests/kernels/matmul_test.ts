import { testCases } from "../helpers/device.ts";
import { cases } from "./matmul_cases.ts";

testCases(cases);
