// gate_backward: dg = dh v φ'(g), dv = dh φ(g)                           oracle: lib/reference/gate.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 g   2 v   3 dh   4 dg   5 dv, all f32 [n] as vec4
// Text      slope(x), whose share and turn make φ'(x), stands before it
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> dh: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dg: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dv: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let s = slope(g[i]);
  dg[i] = dh[i] * v[i] * s.share * s.turn;
  dv[i] = dh[i] * g[i] * s.share;
}
