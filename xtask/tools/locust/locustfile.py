"""What Locust does in `cargo xtask bench engine`: the works of xtask/src/bench/engine/manifests.rs, by its fast client."""

from locust import FastHttpUser, task


class Static(FastHttpUser):
    @task
    def get(self):
        self.client.get("")


class TwoStep(FastHttpUser):
    @task
    def order(self):
        login = self.client.post("/login", json={"user": "bench"})
        headers = {"authorization": f"Bearer {login.json()['token']}"}
        with self.client.get("/orders", headers=headers, catch_response=True) as orders:
            if orders.json()["status"] != "open":
                orders.failure("is not open")
