"""A device on Eclipse Paho: publishes each line of its input and says what was acknowledged.

    device.py HOST PORT DEVICE SECRET 3.1.1|5 TOPIC

Prints "connected" for each connection, and "N REASON" when the Nth line, from 0, is acknowledged. The library
does all the rest: it makes a broken connection anew and sends again what was not acknowledged.
"""

import sys

from paho.mqtt import client as mqtt


def main():
    host, port, device, secret, version, topic = sys.argv[1:]
    protocol = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}[version]
    payloads = sys.stdin.read().splitlines()
    line_of, waiting = {}, set(range(len(payloads)))

    def on_connect(client, userdata, flags, reason, properties):
        print("refused" if reason.is_failure else "connected", reason.value, flush=True)

    def on_publish(client, userdata, mid, reason, properties):
        line = line_of[mid]
        print(line, reason.value, flush=True)
        waiting.discard(line)
        if not waiting:
            client.disconnect()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=protocol)
    client.username_pw_set(device, secret)
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    client.on_connect = on_connect
    client.on_publish = on_publish
    client.connect(host, int(port))
    for line, payload in enumerate(payloads):
        line_of[client.publish(topic, payload, qos=1).mid] = line
    client.loop_forever()


main()
