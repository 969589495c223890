import { testCases } from "../helpers/device.ts";
import { cases } from "./magnitude_cases.ts";

testCases(cases);
