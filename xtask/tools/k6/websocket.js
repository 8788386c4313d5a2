// So many messages that are echoed, one after the other, on one WebSocket; see static.js.
import ws from 'k6/ws';

const text = 'abcdefghijklmnopqrstuvwxyz01234567';

export default function () {
  ws.connect(__ENV.URL, null, (socket) => {
    let left = Number(__ENV.MESSAGES);
    socket.on('open', () => socket.send(text));
    socket.on('message', () => {
      left -= 1;
      if (left > 0) {
        socket.send(text);
      } else {
        socket.close(1000);
      }
    });
  });
}
