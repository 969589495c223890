// cycle: y[i, j] = x[i, j mod d] for j < wide                            oracle: lib/reference/cycle.ts
//
// Grid      one invocation an element of y, 64 a workgroup.
// Bindings  1 x f32 [n, d]   2 y f32 [n, wide]
struct Uniforms { n: u32, d: u32, wide: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at < u.n * u.wide) { y[at] = x[at / u.wide * u.d + at % u.wide % u.d]; }
}
