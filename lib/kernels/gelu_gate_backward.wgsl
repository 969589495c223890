// gelu_gate_backward: dg = dh v σ(z) (1 + g z' (1 − σ(z))), dv = dh g σ(z), z as in gelu_gate.
// oracle: lib/reference/gelu_gate.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 g   2 v   3 dh   4 dg   5 dv, all f32 [n] as vec4
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> dh: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dg: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dv: array<vec4f>;

const SLOPE = 1.5957691216057308;
const CUBE = 0.044715;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let x = g[i];
  let square = x * x;
  let z = SLOPE * (x + CUBE * (square * x));
  // e^−z and 1 / (1 + e^−z) give both σ(z) and 1 − σ(z) without cancellation.
  let decay = exp(-clamp(z, vec4f(-80.0), vec4f(80.0)));
  let s = 1.0 / (1.0 + decay);
  dg[i] = dh[i] * v[i] * s * (1.0 + x * (SLOPE * (1.0 + 3.0 * CUBE * square)) * (decay * s));
  dv[i] = dh[i] * x * s;
}
