import { testCases } from "../helpers/device.ts";
import { cases } from "./qr_cases.ts";

testCases(cases);
