import { testCases } from "../helpers/device.ts";
import { cases } from "./matvec_cases.ts";

testCases(cases);
