// qr_finish: q = q_tᵀ D, r[:, :columns] = D (p scaled back), D = diag(±1) such that diag(r) >= 0
//                                                                        oracle: lib/reference/qr.ts
// Grid      one invocation per element of [rows, width], 64 a workgroup; rows is max(m, width), or width for r and the
//           first rows of q alone; width columns of q, of which the first `columns` come from reflectors.
// Bindings  1 q_t f32 [width, ld]   2 p f32 [columns, ld], R in its upper triangle   3 exponent i32 [columns]
//           4 q f32 [m, width]   5 r f32 [width, n], whose first `columns` columns are written
struct Uniforms { m: u32, n: u32, ld: u32, columns: u32, width: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> q_t: array<f32>;
@group(0) @binding(2) var<storage, read> p: array<f32>;
@group(0) @binding(3) var<storage, read> exponent: array<i32>;
@group(0) @binding(4) var<storage, read_write> q: array<f32>;
@group(0) @binding(5) var<storage, read_write> r: array<f32>;

fn sign_of(j: u32) -> f32 {
  if (j >= u.columns) { return 1.0; }
  return select(1.0, -1.0, (bitcast<u32>(p[j * u.ld + j]) >> 31u) == 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  let i = at / u.width;
  let j = at % u.width;
  if (i < u.m) { q[at] = q_t[j * u.ld + i] * sign_of(j); }
  if (i < u.width && j < u.columns) {
    let power = exponent[j];
    let half_power = power / 2;
    let first = bitcast<f32>(u32(127 + half_power) << 23u);
    let second = bitcast<f32>(u32(127 + power - half_power) << 23u);
    r[i * u.n + j] = select(0.0, p[j * u.ld + i] * sign_of(i) * first * second, i <= j);
  }
}
