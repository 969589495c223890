import { testCases } from "../helpers/device.ts";
import { cases } from "./column_sum_cases.ts";

testCases(cases);
