import getpass
import os
import sys
import requests

BASE_URL = os.environ.get("VAULTPAM_BASE_URL", "https://api.vaultpam.com")


def get_session(base_url: str) -> tuple[str, str]:
    """Authenticate and return (token, org_id)."""
    email = input("Email: ")
    password = getpass.getpass("Password: ") # Never commit — see auth-flow.md#token-storage

    resp = requests.post(f"{base_url}/api/v1/auth/login", json={"email": email, "password": password})
    resp.raise_for_status()
    token = resp.json()["access_token"]

    org_resp = requests.get(f"{base_url}/api/v1/org/memberships", headers={"Authorization": f"Bearer {token}"})
    org_resp.raise_for_status()
    org_id = org_resp.json()["active_org_id"]

    return token, org_id


def list_safes(base_url: str, token: str, org_id: str) -> list:
    resp = requests.get(
        f"{base_url}/api/v1/safes",
        headers={"Authorization": f"Bearer {token}", "X-Active-Org-Id": org_id},
    )
    resp.raise_for_status()
    return resp.json()


if __name__ == "__main__":
    try:
        token, org_id = get_session(BASE_URL)
        safes = list_safes(BASE_URL, token, org_id)
        print(f"Safes ({len(safes)}):")
        for s in safes:
            print(f" {s.get('name', s.get('id'))}")
    except requests.HTTPError as exc:
        print(f"API error {exc.response.status_code}: {exc.response.text}", file=sys.stderr)
        sys.exit(1)
