import { testCases } from "../helpers/device.ts";
import { cases } from "./activation_cases.ts";

testCases(cases);
