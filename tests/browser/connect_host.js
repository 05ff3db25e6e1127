// What Amazon Connect's workspace says to an app in a frame, as @amazon-connect/core 1.0.11 reads it.
([address, scope, attributes, query = ""]) => {
  window.asked = [];
  const frame = document.createElement("iframe");
  frame.title = "Omni summary";
  frame.style.cssText = "width: 100%; height: 500px; border: 0";
  window.addEventListener("message", ({ data, ports, source }) => {
    if (data.type !== "connect-app-host-init" || source !== frame.contentWindow) return;
    const [port] = ports;
    const replies = {
      "contact/getAttributes": ({ attributes: names }) => Object.fromEntries(names.filter((name) => attributes[name]).map((name) => [name, attributes[name]])),
      "contact/getInitialContactId": () => ({ initialContactId: "first-contact" }),
    };
    port.onmessage = ({ data: message }) => {
      if (message.type !== "request") return;
      window.asked.push(message.command);
      const reply = replies[message.command];
      port.postMessage({ type: "response", requestId: message.requestId, namespace: message.namespace, isError: !reply, data: reply?.(message.data) });
    };
    port.postMessage({ type: "acknowledge", connectionId: "c-1", status: { initialized: true }, healthCheckInterval: 0 });
    const about = { appInstanceId: "a-1", instanceId: "a-1", appConfig: {}, config: {}, region: "us-east-1", scope, contactScope: scope };
    port.postMessage({ type: "appLifecycle", stage: "create", launchedBy: { type: "internal", name: "test" }, ...about });
  });
  document.querySelector("main").append(frame);
  frame.src = `http://${address}/workspace${query}`;
}
