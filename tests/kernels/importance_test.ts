import { testCases } from "../helpers/device.ts";
import { cases } from "./importance_cases.ts";

testCases(cases);
