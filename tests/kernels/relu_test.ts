import { testCases } from "../helpers/device.ts";
import { cases } from "./relu_cases.ts";

testCases(cases);
