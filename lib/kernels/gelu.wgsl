// gelu: y = x σ(z), z = √(8/π) (x + 0.044715 x³)                         oracle: lib/reference/gelu.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x f32 [n]   2 y f32 [n], both as vec4
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// √(8 / π): gelu's tanh form is x (1 + tanh(z / 2)) / 2 = x σ(z).
const SLOPE = 1.5957691216057308;
const CUBE = 0.044715;

// Beyond ±80 the sigmoid is 0 or 1 to f32, and exp of the clamped value never overflows.
fn sigmoid(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-clamp(x, vec4f(-80.0), vec4f(80.0))));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let value = x[i];
  y[i] = value * sigmoid(SLOPE * (value + CUBE * (value * value * value)));
}
