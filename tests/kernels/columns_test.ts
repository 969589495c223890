import { testCases } from "../helpers/device.ts";
import { cases } from "./columns_cases.ts";

testCases(cases);
