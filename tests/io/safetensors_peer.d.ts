/** What the tests use of npm:safetensors 0.0.1, which ships no types. */
declare class SafeTensor {
  constructor(file: Uint8Array);
  readonly metadata: Map<string, { dtype: string; shape: number[] }>;
  getTensor(name: string): Uint8Array;
}
declare const module: { SafeTensor: typeof SafeTensor };
export default module;
