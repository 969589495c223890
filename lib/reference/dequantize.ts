/** The twin of the kernel is what the host widens blocks by: every number is exact, so there is nothing finer. */
export { dequantize } from "../core/blocks.ts";
