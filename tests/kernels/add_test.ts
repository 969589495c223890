import { testCases } from "../helpers/device.ts";
import { cases } from "./add_cases.ts";

testCases(cases);
