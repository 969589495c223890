// gelu_backward: dx = dy σ(z) (1 + x z' (1 − σ(z))), z as in gelu        oracle: lib/reference/gelu.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x f32 [n]   2 dy f32 [n]   3 dx f32 [n], all as vec4
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

const SLOPE = 1.5957691216057308;
const CUBE = 0.044715;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let value = x[i];
  let square = value * value;
  let z = SLOPE * (value + CUBE * (square * value));
  // e^−z and 1 / (1 + e^−z) give both σ(z) and 1 − σ(z) without cancellation.
  let decay = exp(-clamp(z, vec4f(-80.0), vec4f(80.0)));
  let s = 1.0 / (1.0 + decay);
  dx[i] = dy[i] * s * (1.0 + value * (SLOPE * (1.0 + 3.0 * CUBE * square)) * (decay * s));
}
