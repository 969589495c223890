// qr_identity: q[z, j, i] = 1 where i = j, else 0                          oracle: lib/reference/qr.ts
//
// Grid      one invocation per element, 64 a workgroup.
// Bindings  1 q f32 [batch, columns, ld]
struct Uniforms { columns: u32, ld: u32, batch: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> q: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at >= u.batch * u.columns * u.ld) { return; }
  q[at] = select(0.0, 1.0, at % u.ld == (at / u.ld) % u.columns);
}
