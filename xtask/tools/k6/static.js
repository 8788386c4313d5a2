// What k6 does in `cargo xtask bench engine`, where there is a k6: the works of xtask/src/bench/engine/manifests.rs.
import http from 'k6/http';
import { check } from 'k6';

export default function () {
  check(http.get(__ENV.URL), { 'is 200': (r) => r.status === 200 });
}
