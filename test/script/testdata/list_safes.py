# Lists the Safes with a personal access token. With VAULTPAM_ORG_ID the
# organization is named, without it the token's own serves.
import os

import requests

headers = {"Authorization": "Bearer " + os.environ["VAULTPAM_TOKEN"]}
if os.environ.get("VAULTPAM_ORG_ID"):
    headers["X-Active-Org-Id"] = os.environ["VAULTPAM_ORG_ID"]
answer = requests.get(os.environ["VAULTPAM_BASE_URL"] + "/api/v1/safes", headers=headers, timeout=10)
print(answer.status_code, " ".join(s["name"] for s in answer.json()))
