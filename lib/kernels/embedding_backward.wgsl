// embedding_backward: dtable[id] += Σ dx[i] over the tokens i that read row id, in the order of the tokens, so that
// no atomics are needed and every run adds in the same order.      oracle: lib/reference/embedding.ts
//
// Grid      one element of a row that was read an invocation, 64 a workgroup.
// Bindings  1 order u32 [n], tokens sorted by id   2 segments vec2u [≤ n]: id, end in `order` (it begins where the
//           segment before it ends)   3 dx f32 [n, d]   4 dtable f32 [rows, d]: the rows from `first` on
struct Uniforms { segments: u32, d: u32, first: u32, rows: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> segments: array<vec2u>;
@group(0) @binding(3) var<storage, read> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = (group.x + group.y * groups.x) * 64u + lane;
  if (at >= u.segments * u.d) { return; }
  let segment = at / u.d;
  let column = at - segment * u.d;
  var begin = 0u;
  if (segment > 0u) { begin = segments[segment - 1u].y; }
  let row = segments[segment];
  let place = row.x - u.first;
  if (place >= u.rows) { return; }
  var sum = dtable[place * u.d + column];
  for (var i = begin; i < row.y; i++) {
    sum += dx[order[i] * u.d + column];
  }
  dtable[place * u.d + column] = sum;
}
