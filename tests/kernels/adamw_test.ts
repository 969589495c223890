import { testCases } from "../helpers/device.ts";
import { cases } from "./adamw_cases.ts";

testCases(cases);
