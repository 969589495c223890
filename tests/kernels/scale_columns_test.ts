import { testCases } from "../helpers/device.ts";
import { cases } from "./scale_columns_cases.ts";

testCases(cases);
