// scale_columns: y[i, j] = x[i, j] s[i / t, j]                           oracle: lib/reference/scale_columns.ts
//
// Grid      one invocation an element, 64 a workgroup.
// Bindings  1 x f32 [g t, d]   2 s f32 [g, d]   3 y f32 [g t, d]
struct Uniforms { size: u32, d: u32, t: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at < u.size) { y[at] = x[at] * s[at / (u.d * u.t) * u.d + at % u.d]; }
}
