//! Refusals: the answers that are not errors.
//!
//! Every refusal has a stable code, a status and a sentence in Chinese and in
//! English, and says what to do. The table below is the only one: the pages
//! under `/problems/` are printed from it.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $slug:literal $status:literal $zh:literal $en:literal $do_zh:literal $do_en:literal;)*) => {
        /// A stable refusal code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $en] $name,)* }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code, the status, the titles (zh, en) and what to do (zh, en).
            pub const fn row(self) -> (&'static str, u16, [&'static str; 2], [&'static str; 2]) {
                match self {
                    $(Self::$name => ($slug, $status, [$zh, $en], [$do_zh, $do_en]),)*
                }
            }
        }
    };
}

codes! {
    // The request itself.
    BadRequest "bad-request" 400 "请求格式有误" "The request cannot be read" "请按接口说明检查请求内容后重试。" "Check the request against /api/openapi.json and send it again.";
    BadField "bad-field" 422 "字段内容不合要求" "A field does not hold what it must" "请按提示更正该字段后重新提交。" "Correct the field named in the detail and send again.";
    NotSignedIn "not-signed-in" 401 "尚未登录或登录已失效" "Not signed in, or the sign-in has ended" "请重新登录,获取新的令牌。" "Sign in again and send the new token.";
    NotAllowed "not-allowed" 403 "当前岗位无权办理此事" "Your post does not allow this" "请由具备相应岗位授权的人员办理。" "Ask somebody whose post allows it.";
    NotFound "not-found" 404 "未找到" "Not found" "请核对地址或编号;无权知悉的内容同样显示为未找到。" "Check the address. What you may not know of also answers so.";
    MethodNotAllowed "method-not-allowed" 405 "此地址不支持该操作" "This address does not take that method" "请查阅接口说明。" "See /api/openapi.json.";
    TooLarge "too-large" 413 "内容过大" "Too large" "请缩小内容或分次提交。" "Send less, or in parts.";
    UnsupportedMedia "unsupported-media" 415 "内容类型不受支持" "The content type is not supported" "请以 application/json 提交。" "Send application/json.";
    KeyRequired "idempotency-key-required" 400 "缺少幂等键" "The Idempotency-Key header is missing" "请为每一次新的办理提供 Idempotency-Key;重试时用同一个键。" "Send an Idempotency-Key of your own with every command, and the same one when you try again.";
    KeyReused "idempotency-key-reused" 422 "同一幂等键已用于不同内容" "This Idempotency-Key was used with another body" "新的办理请换用新的幂等键。" "Use a new key for a new command.";
    IfMatchRequired "if-match-required" 428 "缺少版本号" "The If-Match header is missing" "请先读取最新版本,并以 If-Match 提交其 ETag。" "Read the resource and send its ETag as If-Match.";
    Stale "stale-version" 412 "内容已被他人更新" "Somebody else changed it meanwhile" "请读取最新版本后再办理。" "Read it again and decide again.";
    BasisSuperseded "basis-superseded" 409 "所依据的材料已有新版本" "A newer entry supersedes your basis" "请以最新材料为依据重新办理。" "Read the newest entry and judge that one.";
    PastUnknown "past-unknown" 400 "该查询不支持回看" "This query knows no past" "请去掉 as_of 与 known_at;支持回看的查询见接口说明。" "Leave out as_of and known_at; the interface's description says which queries take them.";
    MomentAhead "moment-ahead" 409 "所问时点尚未到来" "The office has not come to that moment yet" "请改问已经过去的时间,或本单位日志已有的序号。" "Ask for a time that has passed, or for a sequence that the office's log has.";
    NoWitness "no-witness" 403 "不是本账本认可的外部见证" "Signed by no witness from outside that this log knows" "请由运维将见证公钥写入本单位配置 outside_witnesses 后重试;联签须用该公钥作出。" "The operator writes the witness's key into outside_witnesses of the office's configuration; then send the head that this key cosigned.";
    HeadDiffers "head-differs" 409 "该签名头不属于本账本" "The head is none of this log" "请保全该签名头和本单位现有签名头并加以比对:两者相矛盾即为分叉证据。" "Keep this head and the one that the office shows, and compare them: two that contradict each other are evidence of a fork.";
    // The office.
    LogBehind "log-behind" 503 "本单位日志落后于已上报的历史,暂停记录" "This office's log is behind what it has already sent: it does not record" "数据可能由旧备份恢复。系统正从市级自动取回缺失的记录,请稍候再试;长时间未恢复的,联系运维按手册处理。" "The store was probably lost or put back from an older copy. The office is fetching its missing entries from the city; try again later. If it lasts, the operator follows the runbook.";
    KeyLost "key-lost" 503 "签名密钥不在本机,暂停记录" "The signing key is not on this machine: nothing is recorded" "请联系运维:恢复密钥备份,或按手册办理密钥遗失(开启新纪元)。" "The operator puts the keys back from their backup, or follows the runbook for a lost key.";
    ClockBehind "clock-behind" 503 "系统时钟早于最近一条记录,暂停记录" "The clock is behind the last record: nothing is recorded" "请校正服务器时钟后重试。" "Set the machine's clock right and try again.";
    Stopped "office-stopped" 503 "存储发生故障,本单位暂停服务" "The store failed; this office has stopped" "系统会自动从磁盘恢复,请稍后用同一幂等键重试。" "It recovers from disk by itself. Try again with the same Idempotency-Key.";
    Rebuilding "rebuilding" 503 "视图正在重建,所需内容暂不可用" "The views are folded again: what this needs is not there yet" "请稍后用同一幂等键重试;进度见 /health/ready。" "Try again in a moment with the same Idempotency-Key; /health/ready says how far it is.";
    Busy "busy" 503 "当前请求过多" "Too much waits already" "请稍后用同一幂等键重试。" "Try again in a moment with the same Idempotency-Key.";
    TooManyRequests "too-many-requests" 429 "请求过于频繁" "Too many requests in a short time" "请稍候再试;本次请求未办理任何事项。" "Wait a moment and send it again; nothing was done.";
    CrossSite "cross-site" 403 "请求来自其他网站,已拒绝" "The request was made by another site" "请从本系统的页面重新办理。" "Do it again from this system's own page.";
    DiskFull "disk-full" 507 "磁盘已满,暂不能录入" "The disk is full: nothing can be recorded" "请清理磁盘;查询不受影响。" "Free some space; reading goes on.";
    Internal "internal" 500 "系统内部错误" "Something failed inside" "请将页面上的请求编号告知运维。" "Tell the operator the request's instance id.";
    AboveCeiling "above-ceiling" 422 "密级超过本系统上限,未录入任何内容" "Above this system's classification ceiling: nothing was recorded" "请按密封件办理:只登记编号、封签、承运方式和回执(/api/envelopes)。" "Keep it sealed: record only its number, seals, carrier and receipt at /api/envelopes.";
    EnvelopeExists "envelope-exists" 409 "该编号的密封件已登记" "An envelope of this number is recorded already" "请核对编号。" "Check the number.";
    RecusalExists "recusal-exists" 409 "该回避事项已登记" "This recusal is recorded already" "请在原有回避事项上办理。" "Go on with the one that is there.";
    ReadingReasonMissing "reading-reason-missing" 428 "须说明查阅理由" "Reading this needs a reason" "请在 Reading-Reason 头中写明因何事查阅;理由随查阅记录保存。" "Say in the header Reading-Reason what it is read for; the read log keeps it.";
    // People.
    BadCredentials "bad-credentials" 401 "账号或口令不正确" "The account or the password is wrong" "请核对后重试;多次失败将暂时锁定。" "Check both and try again; after several failures the account waits.";
    SecondFactorMissing "second-factor-missing" 401 "还需输入动态验证码" "The code of the second factor is missing too" "请同时提交验证器上当前的六位数字(code)。" "Send the six digits that the authenticator shows now as code.";
    SecondFactorUnset "second-factor-unset" 403 "须先设置第二要素" "This post asks for a second factor, and none is set" "请通过 /api/second-factor 设置验证器,然后重新登录。" "Set one at /api/second-factor, then sign in again.";
    CertificateBound "certificate-bound" 409 "该证书已绑定或已停用" "This certificate stands for somebody already, or was ended" "请为该人员签发新证书后再绑定。" "Have a new certificate issued and bind that one.";
    OpenIdAbsent "openid-absent" 404 "本单位未配置统一身份认证" "This office has no identity provider" "请用账号口令登录;如需接入,由运维在配置中写明 openid。" "Sign in with account and password; the operator names one under openid in the configuration.";
    OpenIdFailed "openid-failed" 401 "统一身份认证未完成" "Signing in by the identity provider did not come out right" "请重新登录;多次不成的,请改用账号口令,并告知运维。" "Sign in once more; if it goes on failing, use account and password and tell the operator.";
    IdentityUnknown "identity-unknown" 403 "该统一身份尚未绑定本单位账号" "This identity stands for nobody at this office" "请将页面所示标识告知系统管理员,由其绑定。" "Give the subject shown here to the system administrator, who binds it.";
    IdentityBound "identity-bound" 409 "该统一身份或该人员已有绑定" "This identity, or this person, is bound already" "请先解除原绑定。" "End that binding first.";
    FactorCodeWrong "second-factor-wrong" 409 "验证码与新的第二要素不符" "The code is not that of the offered second factor" "请核对验证器的密钥和时间,输入当前的六位数字。" "Check the secret and the clock of the authenticator and send the six digits that it shows now.";
    LinkSpent "link-spent" 410 "首次登录链接已使用或已过期" "The first sign-in link was used or has run out" "请联系管理员重新生成链接。" "Ask the administrator for a new link.";
    WeakPassword "weak-password" 422 "口令过于简单" "The password is too weak" "请使用至少 12 位、含至少 6 个不同字符的口令。" "Use at least 12 characters, at least 6 of them different.";
    Locked "locked" 429 "登录失败次数过多,账号暂时锁定" "Too many failures: the account waits" "请五分钟后再试。" "Try again in five minutes.";
    PersonExists "person-exists" 409 "账号已存在" "This account exists" "请换用其他账号名。" "Choose another account name.";
    UnknownRole "unknown-role" 422 "岗位代码不存在" "There is no such role at this tier" "请使用本单位 /policy 页所列的岗位代码。" "Use one of the roles at /policy of this office.";
    SamePerson "same-person" 409 "此事须由两名不同人员办理" "Two different persons must do this" "请由另一名人员办理。" "Let somebody else do the second act.";
    LastAdministrator "last-administrator" 409 "不得结束最后一名安全管理员的授权" "This is the last security administrator" "请先授权另一名安全管理员。" "Authorise another one first.";
    AuthorisationExists "authorisation-exists" 409 "该岗位自该日起的授权已存在" "This post was given from that day on already" "请结束原授权,或填写其他起始日期。" "End the post that exists, or give another first day.";
    RolesExclusive "roles-exclusive" 409 "管理员岗位不得兼任其他岗位" "An administrator holds no other post" "请授权给不同人员。" "Give the posts to different persons.";
    // Register and targets.
    ImportRejected "import-rejected" 422 "导入被拒绝,未导入任何数据" "The import was refused; nothing was imported" "请按所列行号更正后重新导入。" "Correct the lines listed and import again.";
    UnknownOrg "unknown-organization" 422 "被巡察党组织未登记" "No such organization in the register" "请先登记该党组织。" "Register the organization first.";
    UnknownDivision "unknown-division" 422 "区划编号不存在或尚未收到" "No such division here, or it has not arrived yet" "请填写区划的编号(id),见 GET /api/divisions。" "Give the division's id as GET /api/divisions shows it.";
    UnknownOffice "unknown-office" 422 "没有此单位或其注册尚未收到" "No such office here, or its enrolment has not arrived yet" "请填写已注册单位的编号,见 GET /api/offices。" "Give the id of an enrolled office, as GET /api/offices shows it.";
    OrgExists "organization-exists" 409 "该党组织已登记" "This organization is registered already" "请使用已登记的编号。" "Use the id that it has.";
    ListedTwice "listed-twice" 422 "同一对象在清单中重复" "A target is listed twice" "请删除重复项。" "Remove the second one.";
    ListOrder "list-order" 409 "清单生效日期早于现行版本" "The list would come into force before the one in force" "请填写晚于现行版本的生效日期。" "Give a later date.";
    PolicyUnknown "policy-unknown" 404 "没有这条时限规定" "No such deadline rule" "请在时限规定清单中选择。" "Choose one of the list of deadline rules.";
    PolicyFixed "policy-fixed" 409 "该规定由上位法规确定,不得另行规定" "This rule is fixed by higher regulation" "该规定不能由本单位调整。" "No office may decide it otherwise.";
    PolicyUnfit "policy-unfit" 409 "所填数值与该规定的计量不符或超出范围" "The value is of another measure or out of bounds" "请按详情所示默认值的计量填写。" "Give a value of the same measure as the default that the detail shows.";
    PolicyOrder "policy-order" 409 "生效日期早于今日或不晚于现行规定" "The rule would begin before today, or not after the one in force" "已起算的期限不变;请按详情填写生效日期。" "Deadlines that run already stay as they are; give a date as the detail says.";
    InspectedRemoved "inspected-removed" 409 "不得从清单中移除已巡察对象" "A target that was inspected cannot leave the list" "请保留该对象。" "Keep it on the list.";
    // The year's plan.
    PlanAbsent "plan-absent" 404 "该年度计划不存在" "No such annual plan" "请核对年份。" "Check the year.";
    PlanExists "plan-exists" 409 "该年度计划已拟订" "The year's plan exists already" "请在已有计划中列入轮次。" "Place the rounds in the plan that is there.";
    PlanEmpty "plan-empty" 409 "年度计划尚未列入轮次" "The plan has no rounds" "请先列入轮次。" "Place its rounds first.";
    PlannedRoundUnfit "planned-round-unfit" 409 "拟列入的轮次不符合要求" "The round does not fit the plan" "请按详情修改日期、数量或文字长度。" "Change dates, numbers or texts as the detail says.";
    PlanConflicts "plan-conflicts" 409 "年度计划尚有未解决、未说明的冲突" "The plan has conflicts that are neither resolved nor excused" "请查看冲突检查(conflicts),调整轮次,或由领导小组说明理由。" "See the conflict report; change the rounds, or let the leading group excuse each with a reason.";
    ConflictAbsent "conflict-absent" 409 "该冲突已不存在或已变化" "The conflict is no more, or is another one now" "请重新查看冲突检查。" "Look at the conflict report again.";
    RoundNotInPlan "round-not-in-plan" 409 "该轮次不在已批准的年度计划内,或与计划不一致" "The round is not in the approved annual plan, or differs from it" "请由领导小组先增加轮次,或按计划填写。" "Let the leading group insert it first, or plan it as the plan says.";
    // Rounds.
    RoundExists "round-exists" 409 "轮次编号已使用" "The round's number is taken" "请使用新的轮次编号。" "Use another number.";
    RoundAbsent "round-absent" 404 "轮次不存在" "No such round" "请核对轮次编号。" "Check the round's id.";
    WrongState "wrong-state" 409 "当前状态不允许此操作" "Its state does not allow this now" "请查看可办理事项(actions)。" "See the resource's actions for what can be done now.";
    UnfitChoice "unfit-choice" 409 "所选的人员、人数或机关不符合条件" "Who was chosen, or how many, does not fit" "请按提示另选;请求的格式没有错误。" "Choose others, as the detail says; the request's form is right.";
    NoTasks "no-tasks" 409 "轮次尚未分解任务" "The round has no tasks" "请先分解任务。" "Define its tasks first.";
    TaskAbsent "task-absent" 404 "任务不存在" "No such task in this round" "请核对任务编号。" "Check the task's id.";
    TaskExists "task-exists" 409 "该对象已在本轮任务中" "The target already has a task in this round" "同一轮次一个对象只设一个任务。" "One task a target and round.";
    ListMissing "village-list-missing" 409 "尚有村(社区)未形成单独问题清单" "A village has no list of its own yet" "请逐村形成问题清单,或由两人签字确认无问题。" "Issue a list for every village, or a signed statement of no finding.";
    ListOpen "findings-not-cosigned" 409 "清单中有未经第二人签字的问题底稿" "A finding of the list is not co-signed" "请先由第二人签字。" "Have every draft co-signed first.";
    HasFindings "has-findings" 409 "该任务已有问题底稿,不能记为无问题" "The task has findings" "请形成问题清单。" "Issue the list instead.";
    LinkMissing "link-missing" 422 "联动、交叉或提级轮次须注明所联动的轮次或对方单位" "A linked, cross or higher-tier round must name what it is linked with" "请补充 linked_to 或 concerned。" "Give linked_to or concerned.";
    // Findings.
    FindingAbsent "finding-absent" 404 "问题不存在" "No such finding" "请核对问题编号。" "Check the finding's id.";
    EmptyText "empty-text" 422 "内容不能为空" "A text is empty" "请填写内容。" "Write something.";
    ReasonRequired "reason-required" 422 "须填写理由" "A reason is required" "请填写理由。" "Give the reason.";
    RectificationAbsent "rectification-absent" 404 "整改事项不存在" "No such rectification" "请核对编号。" "Check the id.";
    NoMeasure "no-measure" 409 "尚无整改措施" "There is no measure yet" "请先制定整改措施。" "Plan a measure first.";
    // Clues, keys and what is sealed.
    ClueAbsent "clue-absent" 404 "线索不存在" "No such clue" "请核对线索编号;无权知悉的线索同样显示为不存在。" "Check the clue's id. What you may not know of also answers so.";
    NotTheHolder "not-the-holder" 409 "线索现不由本机关保管,不能办理" "Custody of the clue is not here: nothing can be done with it here" "移送未撤回、对方未退回之前,本机关不能办理;已移交的请与现保管机关联系。" "While it is offered, withdraw the offer or wait for its return; once it is handed over, ask the organ that holds it.";
    OfferWithdrawn "offer-withdrawn" 409 "移送已由移送方撤回" "The offer was withdrawn by who made it" "无需办理;线索仍由移送方保管。" "Nothing is left to do: who offered it still holds the clue.";
    ContentDiffers "content-differs" 409 "内容与签字或移交单不符" "The content is not the one that was signed or offered" "请退回移送方(理由:内容与签字不符)。" "Return it to who offered it, with the reason content-differs.";
    SigningLocked "signing-locked" 429 "签字口令连续有误,签字暂停" "Too many wrong signing passwords: signing waits" "请五分钟后再签;登录和其他操作不受影响。" "Sign again in five minutes; nothing else is locked.";
    FingerprintDiffers "fingerprint-differs" 409 "指纹与该人员现在的签字密钥不符" "The fingerprint is not that of this person's key" "请与本人当面重新核对指纹后再核验。" "Compare the fingerprint with the person again, then vouch.";
    SignatureWrong "signature-wrong" 409 "签名与内容或签名人不符" "The signature is not this person's over this content" "请读取最新内容后由本人重新签字。" "Read the content that stands now and sign that one, by your own key.";
    SigningKeyAbsent "signing-key-absent" 409 "尚无有效的个人签名密钥" "There is no personal signing key that counts" "请本人在 /api/signing-key 生成密钥,并由两个机构的两名人员证明(/api/signing-keys/{person}/certify)。" "Make one at /api/signing-key; two persons of two organs then vouch for it at /api/signing-keys/{person}/certify.";
    SigningPassword "signing-password" 409 "签名口令缺失或不正确" "The password that unlocks the signing key is missing or wrong" "请在 Signing-Password 头中(百分号编码)提交本人登录口令。" "Send your own sign-in password, percent-encoded, in the header Signing-Password.";
    SameOrgan "same-organ" 409 "此事须由两个机构的人员办理" "Persons of two organs must do this" "请由另一机构的人员办理。" "Let somebody of another organ do the second act.";
    NotDiscussed "clue-not-discussed" 409 "线索尚未会商" "The clue has not been discussed yet" "请先完成室组办会商。" "Record the discussion first.";
    ObjectReads "object-reads" 409 "反映对象在接收机关可知悉此件,不能移送" "The clue's object could read it at the receiving organ" "请改由上级管理(of_the_chain)重新起草移送。" "Draft it with of_the_chain, so that it goes to the upper tier.";
    ReceiverUnknown "receiver-unknown" 409 "接收机关的密钥尚未公布或尚未收到" "The receiving organ's key is not known here yet" "请稍后再试;长时间未到的,请接收单位检查服务是否启动。" "Try again in a moment; if it lasts, the receiving office should see whether it runs and is linked.";
    KeyGone "sealed-key-gone" 410 "密钥已销毁或不在本机关,内容无法打开" "The key is destroyed, or not with this organ: the content does not open" "已移交的请向现保管机关了解;已销毁的任何人都无法恢复。" "What was handed over opens at its holder; what was destroyed opens for nobody.";
    SealBroken "sealed-part-refused" 409 "封存内容与其登记不符,已拒绝打开" "The sealed part is not what its entry says: it was not opened" "请联系审计管理员和运维,保留现场;详情给出不符的种类。" "Tell the audit administrator and the operator, and leave everything as it is; the detail names what does not fit.";
    PartAway "sealed-part-away" 409 "封存内容尚未到达本机" "The sealed part has not arrived here" "请稍后再试。" "Try again in a moment.";
    IdentityDestroyed "identity-destroyed" 410 "该身份已批准销毁" "This identity is destroyed, or approved for it" "任何人都无法再打开。" "Nobody can open it any more.";
    NotOpened "identity-not-opened" 403 "须经两人批准启封,且仅限批准的两人在限时内查看" "Two persons open it, and only these two read it, for a short while" "请申请启封并由另一机构的人员批准。" "Ask for the opening and let somebody of the other organ agree.";
    ShareAbsent "share-absent" 404 "没有待领取的密钥份额" "No share of an escrow waits for you" "请向安全管理员了解托管设立情况;已抄录的份额系统不再保存。" "Ask the security administrator about the escrow. A share that is on paper is not kept here.";
    // Filings.
    FilingAbsent "filing-absent" 404 "报备事项不存在" "No such filing" "请核对报备编号。" "Check the filing's id.";
    FilingExists "filing-exists" 409 "该报备事项已登记" "This filing is expected already" "请使用已有的报备编号。" "Use the one that exists.";
    UnknownMaterial "unknown-material" 422 "报备材料代码不存在" "No such material code" "请使用报备目录中的代码。" "Use a code of the checklist (A1–A5, R1–R16, E1–E4).";
    ItemAbsent "item-absent" 422 "报备目录中无此项材料" "The filing has no such item" "请核对材料代码。" "Check the item's code.";
    NothingAttached "nothing-attached" 409 "尚未附任何材料" "Nothing is attached yet" "请先附上材料。" "Attach a paper first.";
    PaperAbsent "paper-absent" 422 "附件未上传或不存在" "The paper was not uploaded here" "请先上传附件,再引用其摘要值。" "Upload the paper first and quote its hash.";
    PaperSealed "paper-sealed" 409 "涉密类别材料在密封机制启用前不得报送" "Papers of this class may not leave the office before sealing exists" "请改附非涉密材料。" "Attach a paper of another class.";
    PaperMismatch "paper-mismatch" 422 "附件内容与摘要值不符" "The bytes do not have that hash" "请重新上传。" "Upload it again.";
    PieceMisplaced "paper-piece-misplaced" 409 "附件分段与已收到的部分不衔接" "The piece does not begin where the bytes that are here end" "请从响应头 Upload-Offset 所示字节处续传;已收到的部分不受影响。" "Go on at the byte that the header Upload-Offset names; what is here stays.";
    RangeOutside "range-not-satisfiable" 416 "请求的字节范围超出附件" "The range lies outside the paper" "附件大小见响应头 Content-Range。" "The header Content-Range says how long the paper is.";
    PapersUnfinished "papers-unfinished" 429 "未传完的附件过多" "Too many papers are unfinished" "请先传完已开始的附件;一天未续传的会自动让位。" "Finish one that was begun; one that nobody goes on with for a day gives way.";
    UploadSilent "upload-silent" 408 "上传中断:长时间未收到数据" "The upload fell silent" "已收到的部分已保存,请续传。" "What came is kept; go on from there.";
    NotReceipted "not-receipted" 409 "附件尚未全部收到,提交为临时状态" "The papers have not all arrived; the submission is provisional" "请等待附件到齐。" "Wait until the papers have arrived.";
    // The demo and the hub.
    NotDemo "not-demo" 403 "仅演示城市可以使用" "Only a demo city can do this" "正式环境的时钟不可调整。" "A real city's clock is not driven.";
    DemoMixed "demo-mixed" 409 "演示与正式单位不得混用" "Demo and real offices do not mix" "请使用同类城市签发的注册码。" "Use a token of a city of the same kind.";
    ClockBackwards "clock-backwards" 409 "演示时钟只能向前" "A driven clock only goes forwards" "请给出更晚的时间。" "Give a later time.";
    TokenSpent "enrolment-token-spent" 403 "注册码无效、已使用或已过期" "The enrolment token is unknown, used or has run out" "请由市级重新签发注册码。" "Ask the city for a new token.";
    UnknownParent "unknown-parent" 422 "上级单位未注册" "The parent office is not enrolled" "请先注册上级单位。" "Enrol the parent first.";
    KeyUsed "key-used" 409 "该密钥已被使用" "This key is used already" "请重新生成密钥后提出。" "Make a new key and offer that one.";
    NoOffer "no-key-offer" 409 "该单位没有提出这把密钥" "The office did not offer this key" "请核对密钥指纹,以该单位当面或电话告知的为准。" "Compare the fingerprint with what the office tells you in person or by telephone.";
    OfficeEnrolled "office-enrolled" 409 "该单位已注册" "This office is enrolled already" "无需重复注册。" "Nothing is left to do.";
    HubAway "hub-away" 503 "历史中心暂不可用" "The hub is away" "已记录的内容会在恢复后自动上报。" "What is recorded will be sent by itself when it is back.";
    Unauthorised "paper-unauthorised" 404 "未找到" "Not found" "未被授权知悉的附件同样显示为未找到。" "A paper you were not named for also answers so.";
}

impl Code {
    /// The stable code.
    pub const fn slug(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The code of a slug.
    pub fn of(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug)
    }
}

/// A refusal of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule refused.
    pub code: Code,
    /// What about this request, if the code alone does not say it.
    pub detail: String,
    /// Problems by line or field, for imports and forms: `(where, what)`.
    pub errors: Vec<(String, String)>,
}

impl Refusal {
    /// A refusal that its code explains.
    pub const fn new(code: Code) -> Self {
        Self { code, detail: String::new(), errors: Vec::new() }
    }

    /// The same with a sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.slug())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_speaks_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let (slug, status, titles, advice) = code.row();
            assert!(seen.insert(slug), "{slug} stands twice");
            assert!((400..600).contains(&status), "{slug}");
            for text in titles.into_iter().chain(advice) {
                assert!(!text.is_empty(), "{slug}");
            }
            assert!(!titles[0].is_ascii() && titles[1].is_ascii(), "{slug}");
            assert_eq!(Code::of(slug), Some(*code));
        }
    }
}
