// gelu's σ(z): its tanh form x (1 + tanh(z / 2)) / 2 is x σ(z), z = √(8/π) (x + 0.044715 x³). Prepended to sigmoid.wgsl.
const SLOPE = 1.5957691216057308;
const CUBE = 0.044715;

fn exponent(x: vec4f) -> vec4f { return SLOPE * (x + CUBE * (x * x * x)); }

fn steepness(x: vec4f) -> vec4f { return x * (SLOPE * (1.0 + 3.0 * CUBE * (x * x))); }
