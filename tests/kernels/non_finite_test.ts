import { testCases } from "../helpers/device.ts";
import { cases } from "./non_finite_cases.ts";

testCases(cases);
