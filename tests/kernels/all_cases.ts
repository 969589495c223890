/** The whole kernel suite, one line a kernel: what `tests/browser/kernels_test.ts` runs in Chromium. */
import type { KernelCase } from "../helpers/kernel_case.ts";
import { cases as matmul } from "./matmul_cases.ts";
import { cases as matvec } from "./matvec_cases.ts";
import { cases as rotary } from "./rotary_cases.ts";
import { cases as embedding } from "./embedding_cases.ts";
import { cases as embeddingBackward } from "./embedding_backward_cases.ts";
import { cases as crossEntropy } from "./cross_entropy_cases.ts";
import { cases as klDivergence } from "./kl_divergence_cases.ts";
import { cases as attention } from "./attention_cases.ts";
import { cases as attentionBackward } from "./attention_backward_cases.ts";
import { cases as rmsNorm } from "./rms_norm_cases.ts";
import { cases as activation } from "./activation_cases.ts";
import { cases as gate } from "./gate_cases.ts";
import { cases as magnitude } from "./magnitude_cases.ts";
import { cases as center } from "./center_cases.ts";
import { cases as columns } from "./columns_cases.ts";
import { cases as cycle } from "./cycle_cases.ts";
import { cases as scaleColumns } from "./scale_columns_cases.ts";
import { cases as affine } from "./affine_cases.ts";
import { cases as bias } from "./bias_cases.ts";
import { cases as add } from "./add_cases.ts";
import { cases as sum } from "./sum_cases.ts";
import { cases as columnSum } from "./column_sum_cases.ts";
import { cases as importance } from "./importance_cases.ts";
import { cases as adamw } from "./adamw_cases.ts";
import { cases as dropout } from "./dropout_cases.ts";
import { cases as dequantize } from "./dequantize_cases.ts";
import { cases as effectiveWeight } from "./effective_weight_cases.ts";
import { cases as nonFinite } from "./non_finite_cases.ts";
import { cases as qr } from "./qr_cases.ts";

/** Cases of all kernels. */
export const allCases: readonly KernelCase[] = [
  ...matmul,
  ...matvec,
  ...rotary,
  ...embedding,
  ...embeddingBackward,
  ...crossEntropy,
  ...klDivergence,
  ...attention,
  ...attentionBackward,
  ...rmsNorm,
  ...activation,
  ...gate,
  ...magnitude,
  ...center,
  ...columns,
  ...cycle,
  ...scaleColumns,
  ...affine,
  ...bias,
  ...add,
  ...sum,
  ...columnSum,
  ...importance,
  ...adamw,
  ...dropout,
  ...dequantize,
  ...effectiveWeight,
  ...nonFinite,
  ...qr,
];
