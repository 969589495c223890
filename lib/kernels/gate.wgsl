// gate: h = φ(g) v                                                       oracle: lib/reference/gate.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 g f32 [n]   2 v f32 [n]   3 h f32 [n], all as vec4
// Text      value(x) = φ(x) stands before it
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> h: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  h[i] = value(g[i]) * v[i];
}
