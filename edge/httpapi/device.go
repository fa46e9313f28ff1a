package httpapi

import (
	"context"
	"strings"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

// byCode names a request for a login.
type byCode struct {
	UserCode string `path:"user_code" maxLength:"64"`
}

func (a *API) postDevice(ctx context.Context, _ pam.Actor, in *withBody[v1.DeviceIn]) (*answer[v1.DeviceCodes], error) {
	d, code, err := a.Identity.StartDevice(ctx, in.Body.ClientName, client(ctx))
	if err != nil {
		return nil, err
	}
	defer code.Wipe()
	page := strings.TrimRight(a.PublicURL, "/") + "/device"
	return &answer[v1.DeviceCodes]{v1.DeviceCodes{
		DeviceCode: string(code.Expose()), UserCode: d.ShownCode(), VerificationURI: page, VerificationURIComplete: page + "?code=" + d.ShownCode(),
		ExpiresIn: int(identity.DeviceTTL / time.Second), Interval: int(identity.DeviceInterval / time.Second),
	}}, nil
}

func (a *API) postDeviceToken(ctx context.Context, _ pam.Actor, in *withBody[v1.DeviceTokenIn]) (*answer[v1.DeviceToken], error) {
	status, r, err := a.Identity.FetchDevice(ctx, in.Body.DeviceCode, client(ctx))
	if err != nil {
		return nil, err
	}
	defer r.Token.Wipe()
	return &answer[v1.DeviceToken]{v1.DeviceToken{Status: string(status), AccessToken: string(r.Token.Expose()), ExpiresIn: int(r.ExpiresIn / time.Second)}}, nil
}

func deviceOf(d identity.Device) v1.DeviceRequest {
	kind := "login"
	if d.Wants != "" {
		kind = "connection"
	}
	return v1.DeviceRequest{
		UserCode: d.ShownCode(), Kind: kind, Status: string(d.Status), ClientName: d.Name, ClientIP: d.ClientIP, UserAgent: d.UserAgent, CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt,
	}
}

func (a *API) getDevice(ctx context.Context, actor pam.Actor, in *byCode) (*answer[v1.DeviceRequest], error) {
	d, err := a.Identity.Device(ctx, actor, in.UserCode)
	if err != nil {
		return nil, err
	}
	return &answer[v1.DeviceRequest]{deviceOf(d)}, nil
}

func (a *API) approveDevice(ctx context.Context, actor pam.Actor, in *byCode) (*answer[v1.DeviceRequest], error) {
	return a.decideDevice(ctx, actor, in.UserCode, true)
}

func (a *API) denyDevice(ctx context.Context, actor pam.Actor, in *byCode) (*answer[v1.DeviceRequest], error) {
	return a.decideDevice(ctx, actor, in.UserCode, false)
}

func (a *API) decideDevice(ctx context.Context, actor pam.Actor, code string, approve bool) (*answer[v1.DeviceRequest], error) {
	d, err := a.Identity.DecideDevice(ctx, actor, code, approve)
	if err != nil {
		return nil, err
	}
	return &answer[v1.DeviceRequest]{deviceOf(d)}, nil
}
