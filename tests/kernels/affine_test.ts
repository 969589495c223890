import { testCases } from "../helpers/device.ts";
import { cases } from "./affine_cases.ts";

testCases(cases);
