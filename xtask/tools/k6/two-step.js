// A login whose reply has a token, and a request that needs it and whose reply is checked; see static.js.
import http from 'k6/http';
import { check } from 'k6';

export default function () {
  const login = http.post(`${__ENV.URL}/login`, JSON.stringify({ user: 'bench' }), {
    headers: { 'content-type': 'application/json' },
  });
  const orders = http.get(`${__ENV.URL}/orders`, {
    headers: { authorization: `Bearer ${login.json('token')}` },
  });
  check(orders, { 'is open': (r) => r.json('status') === 'open' });
}
